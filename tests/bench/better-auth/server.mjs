// Better Auth with passwords, its twoFactor plugin and its rate limiter, behind node:http.
//
// In its favour: Argon2id by a native library instead of its default (scrypt in JavaScript's thread pool, several times
// dearer), SQLite without a sync at each commit, no log.
//
// PORT; QUOTA, admitted an hour; DATABASE, a SQLite file. REDIS, an address: sessions and limits are there instead, and
// PROCESSES share the port; without it limits are in the memory of the one process.
import cluster from "node:cluster";
import { createServer } from "node:http";

import { hash, verify } from "@node-rs/argon2";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { twoFactor } from "better-auth/plugins";
import Database from "better-sqlite3";

const { PORT, QUOTA, DATABASE, REDIS, PROCESSES = "1" } = process.env;

function sqlite() {
  const database = new Database(DATABASE);
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = NORMAL");
  return database;
}

async function redis() {
  const { Redis } = await import("ioredis");
  const client = new Redis(REDIS, { enableAutoPipelining: true });
  // A counter and its end in one step, or a limit admits more than its quota.
  const count = "local n = redis.call('INCR', KEYS[1]) if n == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end return n";
  client.defineCommand("count", { numberOfKeys: 1, lua: count });
  return {
    get: (key) => client.get(key),
    getAndDelete: (key) => client.getdel(key),
    set: (key, value, seconds) => (seconds ? client.set(key, value, "EX", seconds) : client.set(key, value)),
    delete: (key) => client.del(key).then(() => {}),
    increment: (key, seconds) => client.count(key, seconds),
  };
}

const quota = { window: 3600, max: Number(QUOTA) };
const cost = { memoryCost: 19456, timeCost: 2, parallelism: 1 };
const options = {
  database: sqlite(),
  secondaryStorage: REDIS ? await redis() : undefined,
  baseURL: `http://127.0.0.1:${PORT}`,
  secret: "only for measuring, and of 32 characters or more",
  emailAndPassword: {
    enabled: true,
    password: { hash: (password) => hash(password, cost), verify: ({ hash, password }) => verify(hash, password) },
  },
  plugins: [twoFactor()],
  rateLimit: {
    enabled: true,
    storage: REDIS ? "secondary-storage" : "memory",
    ...quota,
    // These have rules of their own, which go before the general one.
    customRules: { "/sign-in/email": quota, "/sign-up/email": quota, "/get-session": quota, "/ok": false },
  },
  // The address of the peer, which the listener writes below; the limiter reads nothing but headers.
  advanced: { ipAddress: { ipAddressHeaders: ["x-peer"] } },
  experimental: { joins: true },
  telemetry: { enabled: false },
  logger: { level: "error" },
};

if (cluster.isPrimary) {
  const { runMigrations } = await getMigrations(options);
  await runMigrations();
}
if (cluster.isPrimary && Number(PROCESSES) > 1) {
  for (let n = 0; n < Number(PROCESSES); n++) cluster.fork();
} else {
  const answer = toNodeHandler(betterAuth(options));
  const server = createServer((request, response) => {
    request.headers["x-peer"] = request.socket.remoteAddress;
    return answer(request, response);
  });
  server.listen(Number(PORT), "127.0.0.1");
}
