import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);
import{EMULATOR_HINT,requireMachines,runsHere}from"./chunk-NHMF25AI.js";import"./chunk-SRSDXEKZ.js";import"./chunk-PXLRXZZU.js";import"./chunk-SUYQTPMD.js";import"./chunk-HFSC4POI.js";export{EMULATOR_HINT,requireMachines,runsHere};
