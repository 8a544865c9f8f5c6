import { LockstepError } from '../../model/errors.ts';

export const refusedAddress = (side: string, host: string, address: string, why: 'metadata' | 'private') =>
  new LockstepError(
    'CONFIG',
    `${side}: ${host} is ${host === address ? '' : `at ${address}, `}${
      why === 'private'
        ? 'an address of this machine or a private network'
        : "a link-local address, where a cloud's metadata service lives"
    }. Nothing was sent.`,
    {
      side,
      hint:
        why === 'private'
          ? 'If it is meant, write `allow_private: true` under `http` of this endpoint, or #allow_private=true behind a URL.'
          : 'Such an address is never asked, also not with `allow_private: true`.',
    },
  );
