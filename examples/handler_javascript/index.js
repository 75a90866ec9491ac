// A Waystation task in JavaScript: HandleEvent and nothing else, from the .proto files alone.
//
// Settings (environment):
//   PORT       where to listen on 127.0.0.1; default 7510, 0 takes a free one
//   PROTO_DIR  the contract's folder; default ../../proto
//   SLOW_MS    hold every answer back this long, to see what happens when the process dies meanwhile
'use strict';

const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const TASK_ID = 'fraud_scoring';
const PORT = Number(process.env.PORT ?? 7510);
const SLOW_MS = Number(process.env.SLOW_MS ?? 0);
const PROTO_DIR = process.env.PROTO_DIR ?? path.join(__dirname, '..', '..', 'proto');

const definition = protoLoader.loadSync('waystation/v1/task_handler_service.proto', {
  includeDirs: [PROTO_DIR],
  keepCase: true,
  longs: String,
  enums: String,
  oneofs: true,
});
const { TaskHandlerService } = grpc.loadPackageDefinition(definition).waystation.v1;

// google.protobuf.Value and Struct are JSON spelt out; these four functions are the whole of it.
function toJson(value) {
  switch (value.kind) {
    case 'structValue':
      return structToJson(value.structValue);
    case 'listValue':
      return (value.listValue.values ?? []).map(toJson);
    case 'nullValue':
    case undefined: // a Value that says nothing
      return null;
    default:
      return value[value.kind];
  }
}

function structToJson(struct) {
  return Object.fromEntries(
    Object.entries(struct?.fields ?? {}).map(([key, value]) => [key, toJson(value)]),
  );
}

function toValue(json) {
  if (json === null || json === undefined) return { nullValue: 'NULL_VALUE' };
  if (typeof json === 'number') return { numberValue: json };
  if (typeof json === 'string') return { stringValue: json };
  if (typeof json === 'boolean') return { boolValue: json };
  if (Array.isArray(json)) return { listValue: { values: json.map(toValue) } };
  return { structValue: jsonToStruct(json) };
}

function jsonToStruct(json) {
  return {
    fields: Object.fromEntries(Object.entries(json).map(([key, value]) => [key, toValue(value)])),
  };
}

// The task. Gives a HandleEventResponse: a result, or a failure. What it throws becomes a failed attempt.
function fraudScoring(request) {
  const { amount, country } = structToJson(request.context?.data);
  if (typeof amount !== 'number') {
    // The same payload would fail again: no retries, straight to the dead letters.
    return {
      failure: {
        reason: 'AMOUNT_MISSING',
        message: 'data.amount must be a number; start the workflow with one',
        permanent: true,
      },
    };
  }
  const score = Math.min(100, Math.round(amount / 100) + (country === 'XX' ? 50 : 0));
  const fraud = { score, suspicious: score >= 60, attempt: request.attempt };
  return {
    result: {
      operations: { items: [{ path: '/fraud', set: toValue(fraud) }] },
      // Said aloud, so that tasks which change other places can run at the same time.
      reads: { paths: ['/amount', '/country'] },
      complete: { output: jsonToStruct(fraud) },
    },
  };
}

function handleEvent(call, callback) {
  const request = call.request;
  console.log(`call key=${request.idempotency_key} attempt=${request.attempt}`);
  if (request.task_id !== TASK_ID) {
    callback({
      code: grpc.status.UNIMPLEMENTED,
      details: `this endpoint hosts ${TASK_ID}, not ${request.task_id}`,
    });
    return;
  }
  setTimeout(() => {
    try {
      callback(null, fraudScoring(request));
    } catch (error) {
      callback({ code: grpc.status.INTERNAL, details: String(error.message) });
    }
  }, SLOW_MS);
}

const server = new grpc.Server();
server.addService(TaskHandlerService.service, { HandleEvent: handleEvent });
server.bindAsync(`127.0.0.1:${PORT}`, grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) {
    console.error(`cannot listen on 127.0.0.1:${PORT} (PORT): ${error.message}`);
    process.exit(1);
  }
  console.log(`listening on 127.0.0.1:${port}`);
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  // Answers what is in call, takes nothing new, then ends.
  process.once(signal, () => server.tryShutdown(() => process.exit(0)));
}
