// 60/30/10 in functions compiled at run time, below five recursive calls. Usage:
// node --perf-basic-prof --interpreted-frames-native-stack --no-turbo-inlining jit.js SECONDS
'use strict';

const ROUNDS = 10000;

// The loop is written three times because the compiler works by function: one that all three shared
// would be one name in the perf map. Each round depends on the one before, so none can be dropped.
function jsHeavy(value) {
  for (let round = 0; round < 6 * ROUNDS; round++) value = (Math.imul(value, 69069) + 1) | 0;
  return value;
}

function jsMedium(value) {
  for (let round = 0; round < 3 * ROUNDS; round++) value = (Math.imul(value, 69069) + 1) | 0;
  return value;
}

function jsLight(value) {
  for (let round = 0; round < ROUNDS; round++) value = (Math.imul(value, 69069) + 1) | 0;
  return value;
}

function jsDescend(depth, value) {
  if (depth > 1) return jsDescend(depth - 1, value) + 1;
  return jsLight(jsMedium(jsHeavy(value)));
}

const end = Date.now() + Number(process.argv[2] || 1) * 1000;
console.log('ready');
let value = 1;
while (Date.now() < end) value = jsDescend(5, value) | 0;
process.exitCode = Number.isInteger(value) ? 0 : 1;
