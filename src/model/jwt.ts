/** How tokens of an identity provider are verified. */
export interface JwtSettings {
  readonly issuer: string;
  readonly audience: readonly string[];
  /** Address of the keys, or an absolute path. */
  readonly jwks: { readonly url: string; readonly allowPrivate: boolean } | { readonly file: string };
  readonly algorithms: readonly string[];
  readonly rolesClaim: string;
  /** Role of each value; undefined: the values are roles. */
  readonly roles: Readonly<Record<string, string>> | undefined;
  readonly scopesClaim: string | undefined;
  readonly nameClaim: string;
  readonly syncsClaim: string | undefined;
  readonly recordsClaim: string | undefined;
}
