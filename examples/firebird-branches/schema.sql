-- A branch: its customers, and its prices. Run it in each of the two databases:
--   isql-fb -user SYSDBA -password … host:/data/north.fdb -i schema.sql
set sql dialect 3;

create table CUSTOMERS (
  ID integer not null primary key,
  NAME varchar(60) character set UTF8 not null,
  CITY varchar(40) character set UTF8,
  CREDIT_LIMIT numeric(10, 2),
  NOTE blob sub_type text character set UTF8,
  LAST_SEEN timestamp -- each till writes it all the time
);

create table PRICES (
  ARTICLE char(8) not null,
  REGION char(2) not null,
  PRICE numeric(12, 4) not null,
  VALID_FROM date not null,
  primary key (ARTICLE, REGION)
);
commit;

set term ^ ;
execute block as
  declare i integer = 1;
begin
  while (i <= 1000) do
  begin
    insert into CUSTOMERS (ID, NAME, CITY, CREDIT_LIMIT, NOTE, LAST_SEEN)
    values (:i, 'Customer ' || :i, decode(mod(:i, 4), 0, 'Köln', 1, 'Łódź', 2, 'Aarhus'), :i * 1.25,
            iif(mod(:i, 10) = 0, 'Pays late.', null), dateadd(-mod(:i, 60) minute to current_timestamp));
    i = i + 1;
  end
  i = 1;
  while (i <= 500) do
  begin
    insert into PRICES (ARTICLE, REGION, PRICE, VALID_FROM)
    values ('A' || lpad(:i, 7, '0'), iif(mod(:i, 2) = 0, 'EU', 'UK'), :i + 0.9900, date '2026-01-01');
    i = i + 1;
  end
end^
set term ; ^
commit;
