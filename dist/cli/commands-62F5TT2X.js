import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);
import{COMMANDS,GROUPS,REFUSED_COMMANDS}from"./chunk-BAUZLZLA.js";import"./chunk-GAKZSQMT.js";import"./chunk-V7KM3DGK.js";import"./chunk-Y5HQC7MT.js";import"./chunk-PXLRXZZU.js";import"./chunk-SUYQTPMD.js";import"./chunk-HFSC4POI.js";export{COMMANDS,GROUPS,REFUSED_COMMANDS};
