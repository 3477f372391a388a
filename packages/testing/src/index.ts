// The public surface of @roomful/testing.

export type { TokenClaims } from "../../server/src/token.ts";
export { findBinary } from "./binary.ts";
export type { Faults } from "./faults.ts";
export { startRoomful, type RoomfulOptions, type TestRoomful, type TestTokenOptions } from "./roomful.ts";
