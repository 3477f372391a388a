// A form of text fields whose values become the page's location.

import { useState, type FormEvent } from "react";

import { Icon } from "../../shared/icon.tsx";

export interface SearchField {
  readonly name: string;
  readonly label: string;
  readonly value?: string | undefined;
  readonly required?: boolean;
  /** Digits only. */
  readonly numeric?: boolean;
}

export interface SearchFormProps {
  readonly fields: readonly SearchField[];
  readonly action: string;
  readonly onSubmit: (values: Readonly<Record<string, string>>) => void;
}

/** Give it a `key` of the values, so that another location shows in the fields. */
export function SearchForm({ fields, action, onSubmit }: SearchFormProps) {
  const [values, setValues] = useState<Readonly<Record<string, string>>>(() =>
    Object.fromEntries(fields.map(({ name, value = "" }) => [name, value])),
  );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit(Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value.trim()])));
  };
  return (
    <form className="search" role="search" onSubmit={submit}>
      {fields.map(({ name, label, required = false, numeric = false }) => (
        <label key={name} className="labelled">
          {label}
          <input
            className="field"
            data-testid={`search-${name}`}
            type="text"
            inputMode={numeric ? "numeric" : "text"}
            {...(numeric && { pattern: "[0-9]+", title: "A number" })}
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
            required={required}
            value={values[name] ?? ""}
            onChange={(event) => setValues({ ...values, [name]: event.target.value })}
          />
        </label>
      ))}
      <button type="submit" className="button primary with-icon" data-testid="search-submit">
        <Icon name="search" />
        {action}
      </button>
    </form>
  );
}
