import { lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

const listOf = (...nets: readonly string[]): BlockList => {
  const list = new BlockList();
  for (const net of nets) {
    const [address, bits] = net.split('/') as [string, string];
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
};

/** Machines of this host and of private networks (RFC 6890 and its registries), and ways to write them inside IPv6. */
const privateNets = listOf(
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/96',
  '::ffff:0:0:0/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '2001::/32',
  '2002::/16',
  'fc00::/7',
  'fec0::/10',
  'ff00::/8',
);

/** Where clouds keep the credentials of a machine. Never an API that anybody wants to compare. */
const metadataNets = listOf(
  '169.254.0.0/16',
  'fe80::/10',
  'fd00:ec2::254/128',
  'fd20:ce::254/128',
  '100.100.100.200/32',
  '168.63.129.16/32',
  // The same, written inside IPv6 for those who translate it on the way.
  '::169.254.0.0/112',
  '::ffff:0:169.254.0.0/112',
  '64:ff9b::169.254.0.0/112',
  '64:ff9b::100.100.100.200/128',
  '64:ff9b::168.63.129.16/128',
  '2002:a9fe::/32',
);

/** Why nothing may be sent to this address; undefined when it may. */
export const refusal = (address: string, allowPrivate: boolean): 'metadata' | 'private' | undefined => {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  if (metadataNets.check(address, family)) return 'metadata';
  return !allowPrivate && privateNets.check(address, family) ? 'private' : undefined;
};

/** Looks a host up once, judges every address, and connects to one of those: the name is not asked again. */
export const guardedLookup =
  (
    allowPrivate: boolean,
    /** The error to end with. */
    refused: (host: string, address: string, why: 'metadata' | 'private') => Error,
  ): LookupFunction =>
  (host, options, done) => {
    lookup(host, { ...options, all: true }, (error, addresses) => {
      if (error) {
        done(error, '', 0);
        return;
      }
      for (const { address } of addresses) {
        const why = refusal(address, allowPrivate);
        if (why !== undefined) {
          done(refused(host, address, why), '', 0);
          return;
        }
      }
      if (options.all) done(null, addresses);
      else done(null, addresses[0]!.address, addresses[0]!.family);
    });
  };

/** The address that a URL's host spells out, as URL reads it (decimal, octal and hexadecimal too); undefined: a name. */
export const addressIn = (url: URL): string | undefined => {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return isIP(host) === 0 ? undefined : host;
};
