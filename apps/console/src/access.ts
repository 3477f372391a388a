// What the operator's key may do: its scopes, and the calls that the server has with the scope of each.

import { CallError, type Api } from "./api.ts";

type Method = "get" | "put" | "post" | "delete";

interface Operation {
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
}

/** The part of the OpenAPI description that says which calls there are. */
export interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation | undefined>>>>;
}

export interface Key {
  readonly name: string;
  readonly scopes: readonly string[];
}

export class Access {
  /** Of the key; undefined if the server does not say it. */
  readonly key: Key | undefined;
  readonly #description: Description;

  constructor(key: Key | undefined, description: Description) {
    this.key = key;
    this.#description = description;
  }

  /** Reads both from the server. */
  static async of(api: Api): Promise<Access> {
    const key = await api.get<Key>("/v1/key").catch((error: unknown) => {
      // An older node of the cluster; each call then says what the key lacks.
      if (error instanceof CallError && error.status === 404) return undefined;
      throw error;
    });
    return new Access(key, await api.get<Description>("/openapi.json"));
  }

  /** Whether the server has this call, and the key may make it. `route` is the route below `/api/v1`. */
  can(method: Method, route: string): boolean {
    return this.missing(method, route)?.length === 0;
  }

  /** The scopes of this call that the key lacks; undefined if the server does not have the call. */
  missing(method: Method, route: string): readonly string[] | undefined {
    const operation = this.#description.paths[`/api/v1${route}`]?.[method];
    if (!operation) return undefined;
    const { key } = this;
    const needed = (operation.security ?? []).flatMap((one) => Object.values(one).flat());
    return key ? needed.filter((scope) => !key.scopes.includes(scope)) : [];
  }
}
