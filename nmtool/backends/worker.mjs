// Runs one model in an ONNX Runtime for JavaScript: `node worker.mjs onnxruntime-node|onnxruntime-web`.
// The protocol is described in worker.py.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const ARRAYS = {
  float16: globalThis.Float16Array ?? Uint16Array, float32: Float32Array, float64: Float64Array,
  int8: Int8Array, int16: Int16Array, int32: Int32Array, int64: BigInt64Array,
  uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, uint64: BigUint64Array, bool: Uint8Array,
};

function read(size) {
  const bytes = new Uint8Array(size);
  for (let done = 0; done < size; ) {
    const count = fs.readSync(0, bytes, done, size - done);
    if (count === 0) process.exit(0); // nobody is there any more
    done += count;
  }
  return bytes;
}

function write(bytes) {
  for (let done = 0; done < bytes.byteLength; ) done += fs.writeSync(1, bytes, done);
}

function reply(header, tensors = []) {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  write(Buffer.concat([length, text]));
  for (const { data } of tensors) write(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

function request(Tensor) {
  const length = Buffer.from(read(4)).readUInt32LE();
  const header = JSON.parse(Buffer.from(read(length)).toString());
  header.feeds = {};
  for (const { name, dtype, shape } of header.arrays) {
    const Type = ARRAYS[dtype];
    if (!Type) throw new Error(`no arrays of type ${dtype}`);
    const bytes = read(shape.reduce((a, b) => a * b, Type.BYTES_PER_ELEMENT));
    header.feeds[name] = new Tensor(dtype, new Type(bytes.buffer), shape);
  }
  return header;
}

// Here, in NODE_PATH, or where npm installs globally by default.
function runtime(name) {
  const globals = [path.join(path.dirname(process.execPath), "..", "lib"), "/usr/local/lib"];
  const require = createRequire(path.join(process.cwd(), "/"));
  return require(require.resolve(name, { paths: [process.cwd(), ...globals] }));
}

async function load(ort, web, { path: file, threads }) {
  const options = { executionProviders: [web ? "wasm" : "cpu"], logSeverityLevel: 4 };
  if (threads && web) ort.env.wasm.numThreads = threads;
  if (threads && !web) options.intraOpNumThreads = threads;
  if (web) { // a browser has no folders: external data is handed over
    const folder = path.dirname(file);
    const others = fs.readdirSync(folder).filter((each) => each !== path.basename(file));
    options.externalData = others.map((each) => ({ path: each, data: path.join(folder, each) }));
  }
  return ort.InferenceSession.create(file, options);
}

async function run(session, { feeds, outputs }) {
  const results = await session.run(feeds, outputs);
  return outputs.map((name) => {
    const { type, dims, data } = results[name];
    if (!ARRAYS[type]) throw new Error(`output '${name}' has the type ${type}`);
    return { name, dtype: type, shape: dims, data };
  });
}

console.log = console.info = console.error; // stdout is for replies
const name = process.argv[2];
const web = name === "onnxruntime-web";
let ort;
try {
  ort = runtime(name);
  reply({ version: ort.env.versions[web ? "web" : "node"] });
} catch (error) {
  reply({ missing: error.code === "MODULE_NOT_FOUND", reason: error.message });
  process.exit(0);
}
for (let session; ; ) {
  const message = request(ort.Tensor);
  try {
    if (message.path) {
      session = await load(ort, web, message);
      reply({});
    } else {
      const tensors = await run(session, message);
      reply({ arrays: tensors.map(({ data, ...rest }) => rest) }, tensors);
    }
  } catch (error) {
    reply({ error: String(error?.message ?? error) });
  }
}
