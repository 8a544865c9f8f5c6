-- Database 2 has one column of its own.
alter table subscriptions add column synced_at timestamptz not null default now();
