// Values that are made when they are first asked for: what a start of the program does not need, it does not wait for.

/** Answers what `make` answered the first time. */
export function lazy<T>(make: () => T): () => T {
  let value: { made: T } | undefined;
  return () => {
    value ??= { made: make() };
    return value.made;
  };
}
