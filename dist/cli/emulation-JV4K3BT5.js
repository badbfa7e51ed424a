import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);
import{EMULATOR_HINT,requireMachines,runsHere}from"./chunk-X5KG3D44.js";import"./chunk-T7RJXDHE.js";import"./chunk-QWRO4YRW.js";import"./chunk-SUYQTPMD.js";import"./chunk-HFSC4POI.js";export{EMULATOR_HINT,requireMachines,runsHere};
