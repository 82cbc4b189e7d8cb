// Devices that exist for Secure and Root accesses only.

import { BUS_ERROR, type MmioDevice } from "../mem/physical.ts";

/** The device, answering accesses to the Non-secure and Realm PA spaces with an error. */
export function secureOnly(device: MmioDevice): MmioDevice {
  return {
    name: device.name,
    size: device.size,
    read: (offset, size, who) => ((who.pas & 1) === 0 ? device.read(offset, size, who) : BUS_ERROR),
    write: (offset, size, value, who) => (who.pas & 1) === 0 && device.write(offset, size, value, who),
  };
}
