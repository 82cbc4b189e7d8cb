// The shape of an encoding row.

/** name, value, mask (an instruction word belongs when word & mask == value), variable fields, required features. */
export type RowData = readonly [name: string, value: number, mask: number, fields: string, features: string];
