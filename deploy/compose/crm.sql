create table subscriptions (
  id bigint primary key,
  customer_id bigint not null,
  status varchar(20) not null,
  amount decimal(12,2) not null
) character set utf8mb4;
