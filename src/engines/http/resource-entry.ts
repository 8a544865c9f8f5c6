/** How a resource is written in a config, references looked up. */

export type RouteEntry =
  | string
  | {
      readonly method?: string;
      readonly path: string;
      readonly item?: string;
      readonly wrap?: string;
      readonly send?: 'changes' | 'item';
    };

export interface ResourceEntry {
  readonly list:
    | string
    | {
        readonly path: string;
        readonly query?: Readonly<Record<string, string | number | boolean>>;
        readonly items?: string;
        readonly total?: string;
        readonly total_header?: string;
        readonly page?: {
          readonly by: 'link' | 'none' | 'url' | 'cursor' | 'last_item' | 'page' | 'offset';
          readonly next?: string;
          readonly field?: string;
          readonly param?: string;
          readonly start?: number;
          readonly size_param?: string;
          readonly size?: number;
          readonly more?: string;
        };
      };
  readonly read?: RouteEntry;
  readonly find?: string;
  readonly create?: RouteEntry;
  readonly update?: RouteEntry;
  readonly delete?: RouteEntry;
  readonly key?: readonly string[];
  readonly columns?: Readonly<
    Record<
      string,
      | string
      | {
          readonly type: string;
          readonly field?: string;
          readonly nullable?: boolean;
          readonly read_only?: boolean;
          readonly as?: 'text' | 'number';
        }
    >
  >;
  readonly since?: { readonly param: string; readonly column: string };
  readonly if_match?: boolean;
  readonly idempotency_key?: string | false;
}

export type PageEntry = NonNullable<Exclude<ResourceEntry['list'], string>['page']>;
