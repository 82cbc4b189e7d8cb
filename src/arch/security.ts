// Security states, physical address spaces and Exception levels (Arm ARM D1, RME supplement).

/** Security state of a PE. The values are also the PA space of the same name. */
export const Security = { Secure: 0, NonSecure: 1, Root: 2, Realm: 3 } as const;
export type Security = (typeof Security)[keyof typeof Security];

/** Physical address space. Encoded as {NSE, NS} as in SCR_EL3 and PAR_EL1. */
export const Pas = Security;
export type Pas = Security;

export const securityName = ["Secure", "Non-secure", "Root", "Realm"] as const;

/** Exception level, 0 to 3. */
export type El = 0 | 1 | 2 | 3;
