import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);
import{COMMANDS,GROUPS,REFUSED_COMMANDS}from"./chunk-PNVXTD27.js";import"./chunk-P2UHTYDG.js";import"./chunk-AJG6WJSV.js";import"./chunk-VF2BRUSZ.js";import"./chunk-D6H5BZEY.js";import"./chunk-SUYQTPMD.js";import"./chunk-HFSC4POI.js";export{COMMANDS,GROUPS,REFUSED_COMMANDS};
