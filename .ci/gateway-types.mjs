// Objects of Gateway API, as JSON on standard input, against its published types: no field may be missing, wrong or
// unknown. Usage: gateway-types.mjs FOLDER   (FOLDER has node_modules)
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const folder = process.argv[2];
const ts = createRequire(join(folder, "package.json"))("typescript");
const objects = JSON.parse(readFileSync(0, "utf8"));
const lines = [`import type * as v1 from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1";`];
for (const [number, object] of objects.entries()) {
    if (object.apiVersion !== "gateway.networking.k8s.io/v1") throw new Error(`no types for ${object.apiVersion}`);
    lines.push(`export const o${number}: v1.I${object.kind} = ${JSON.stringify(object)};`);
}
const file = join(folder, "objects.ts");
writeFileSync(file, lines.join("\n"));
const program = ts.createProgram([file], {
    noEmit: true, strict: true, skipLibCheck: true, types: [],
    module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext,
});
const complaints = ts.getPreEmitDiagnostics(program).map((one) => ts.flattenDiagnosticMessageText(one.messageText, " "));
for (const complaint of complaints) console.error(complaint);
console.log(`gateway-types: ${objects.length} objects, ${complaints.length} complaints`);
process.exit(complaints.length || !objects.length ? 1 : 0);
