// Memory of the EL3 monitor on the `virt` machine, in Secure RAM (Root for the granule protection check).

/** Granule protection table: level 0, memory for level 1 tables, for a protected physical address space of `pps` bits. */
export const rootMemory = { l0: 0x0eef_e000, l1: 0x0ed0_0000, l1Size: 0x1f_e000, pps: 40 } as const;
