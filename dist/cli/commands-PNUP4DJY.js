import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);
import{COMMANDS,GROUPS,REFUSED_COMMANDS}from"./chunk-6IR6ZBHT.js";import"./chunk-TH6QSHAK.js";import"./chunk-AJG6WJSV.js";import"./chunk-O3IOO2HV.js";import"./chunk-D6H5BZEY.js";import"./chunk-SUYQTPMD.js";import"./chunk-HFSC4POI.js";export{COMMANDS,GROUPS,REFUSED_COMMANDS};
