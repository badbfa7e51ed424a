import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);
import{EMULATOR_HINT,requireMachines,runsHere}from"./chunk-HJOZ5GH4.js";import"./chunk-D6H5BZEY.js";import"./chunk-SUYQTPMD.js";import"./chunk-HFSC4POI.js";export{EMULATOR_HINT,requireMachines,runsHere};
