// The error of a failed call.

/** A call that failed. */
export class RoomfulApiError extends Error {
  /** The server's code, such as `not_found`; `unreachable` if no answer came, or only a part of it. */
  readonly code: string;
  /** The HTTP status; 0 if no answer came, or only a part of it. */
  readonly status: number;
  /** Milliseconds to wait before another attempt, if the server named them. */
  readonly retryAfter: number | undefined;

  constructor(
    code: string,
    status: number,
    message: string,
    options: ErrorOptions & { readonly retryAfter?: number } = {},
  ) {
    super(message, options);
    this.name = "RoomfulApiError";
    this.code = code;
    this.status = status;
    this.retryAfter = options.retryAfter;
  }
}
