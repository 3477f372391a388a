// A table with its columns, and the buttons between its pages.

import { useState, type ReactNode } from "react";

import type { CallError } from "./api.ts";
import { usePoll } from "./poll.ts";
import { Failure } from "./failure.tsx";

export interface Column<T> {
  readonly head: string;
  readonly cell: (row: T) => ReactNode;
  /** Numbers stand right, texts wrap anywhere and phrases between words, and actions have no visible head. */
  readonly kind?: "number" | "text" | "phrase" | "actions";
}

export interface TableProps<T> {
  readonly label: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly id: (row: T) => string | number;
  /** What stands in place of a table without rows. */
  readonly empty: string;
}

export function Table<T>({ label, columns, rows, id, empty }: TableProps<T>) {
  if (rows.length === 0) return <p className="empty">{empty}</p>;
  return (
    <div className="table-frame" role="region" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map(({ head, kind }) => (
              <th key={head} scope="col" className={kind && `cell-${kind}`}>
                {kind === "actions" ? <span className="rf-hidden">{head}</span> : head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={id(row)} data-testid="row" data-id={id(row)}>
              {columns.map(({ head, cell, kind }) => (
                <td key={head} className={kind && `cell-${kind}`}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export interface Page<T> {
  readonly rows: readonly T[];
  /** The cursor of the next page. */
  readonly next?: string | undefined;
}

export interface Pages<T, P extends Page<T> = Page<T>> {
  readonly page?: P | undefined;
  readonly error?: CallError | undefined;
  readonly refresh: () => void;
  readonly number: number;
  readonly forward: () => void;
  readonly back: () => void;
}

/** Polls one page of a list. Another `subject` starts at the first page. */
export function usePages<T, P extends Page<T> = Page<T>>(
  subject: string,
  load: (cursor: string | undefined, signal: AbortSignal) => Promise<P & { readonly rows: readonly T[] }>,
): Pages<T, P> {
  const [at, setAt] = useState<{ subject: string; cursors: readonly string[] }>({ subject, cursors: [] });
  const cursors = at.subject === subject ? at.cursors : [];
  const cursor = cursors.at(-1);
  const { data, error, refresh } = usePoll(`${subject} ${cursor ?? ""}`, (signal) => load(cursor, signal));
  return {
    page: data,
    error,
    refresh,
    number: cursors.length + 1,
    forward: () => {
      if (data?.next !== undefined) setAt({ subject, cursors: [...cursors, data.next] });
    },
    back: () => setAt({ subject, cursors: cursors.slice(0, -1) }),
  };
}

/** A list in pages: the table, why it failed, and the buttons between its pages. */
export function PagedTable<T>({
  pages: { page, error, refresh, number, forward, back },
  ...table
}: Omit<TableProps<T>, "rows"> & { readonly pages: Pages<T> }) {
  return (
    <>
      <Failure error={error} retry={refresh} />
      {!page && !error && <p className="empty">Loading …</p>}
      {page && <Table {...table} rows={page.rows} />}
      {(number > 1 || page?.next !== undefined) && (
        <nav className="pager" aria-label={`Pages of ${table.label}`}>
          <button type="button" className="button" disabled={number === 1} onClick={back}>
            Previous
          </button>
          <span>Page {number}</span>
          <button type="button" className="button" disabled={page?.next === undefined} onClick={forward}>
            Next
          </button>
        </nav>
      )}
    </>
  );
}
