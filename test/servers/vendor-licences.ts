import { number, type VendorItem, type VendorResource } from './vendor-api.ts';

const customers = [
  'Brightwater Labs',
  'Ashdown & Co',
  'Kvík ehf.',
  'Ötztal Energie',
  '株式会社ミナト',
  "O'Hara Legal",
  'Nordlys AS',
];
const tiers = ['free', 'pro', 'enterprise'];
const statuses = ['active', 'trialing', 'past_due', 'canceled'];
const day = (n: number): string => new Date(Date.UTC(2024, 0, 1) + n * 86_400_000).toISOString();

/** A licence as a vendor's API shows it: nested, with prices as decimals and an id beyond 2^53 where the vendor has one. */
export const licence = (n: number): VendorItem => ({
  id: number(n),
  reference: `LIC-${String(n).padStart(5, '0')}`,
  account: number(String(9007199254740992n + BigInt(n))),
  customer: { name: customers[n % customers.length]!, country: ['IS', 'GB', 'AT', 'JP', 'IE', 'NO'][n % 6]! },
  tier: tiers[n % 3]!,
  status: statuses[n % 4]!,
  seats: n % 11 === 0 ? null : number((n % 40) + 1),
  price: number(`${(n * 37) % 900}.${String((n * 7) % 100).padStart(2, '0')}`),
  features: n % 5 === 0 ? [] : ['sso', 'audit'].slice(0, 1 + (n % 2)),
  expires_at: day(n % 700),
  updated_at: day(n % 300),
});

/** How the vendor's API of licences behaves: it refuses what makes no sense, and says when an item was written. */
export const licences = (count: number, change: Partial<VendorResource> = {}): VendorResource => ({
  key: ['id'],
  items: Array.from({ length: count }, (_, i) => licence(i + 1)),
  pageSize: 40,
  since: 'updated_at',
  refuse: (item, others) => {
    const { seats } = item;
    if (seats !== null && typeof seats === 'object' && 'rawJSON' in seats && Number(seats.rawJSON) < 1)
      return 'seats must be positive';
    if (others.some((o) => o['reference'] === item['reference'])) return 'reference is taken';
    return item['reference'] === undefined ? 'reference must not be null' : undefined;
  },
  ...change,
});

const columns = {
  id: 'int',
  reference: 'text',
  account: 'int',
  customer: { type: 'text', field: '/customer/name' },
  country: { type: 'text', field: '/customer/country' },
  tier: 'text',
  status: 'text',
  seats: 'int',
  price: 'decimal(10,2)',
  features: 'json',
  expires_at: 'instant',
  updated_at: 'instant',
} as const;

/** The same in a config. */
export const licencesDeclared = {
  list: {
    path: '/licences',
    items: '/data',
    total: '/meta/total',
    page: { by: 'cursor', next: '/meta/next', param: 'cursor' },
  },
  read: '/licences/{id}',
  create: '/licences',
  update: '/licences/{id}',
  delete: '/licences/{id}',
  key: ['id'],
  columns,
  since: { param: 'updated_at', column: 'updated_at' },
} as const;
