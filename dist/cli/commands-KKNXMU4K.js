import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);
import{COMMANDS,GROUPS,REFUSED_COMMANDS}from"./chunk-X7SQGD6X.js";import"./chunk-7GSQYLS3.js";import"./chunk-AJG6WJSV.js";import"./chunk-FU5LGMVE.js";import"./chunk-D6H5BZEY.js";import"./chunk-SUYQTPMD.js";import"./chunk-HFSC4POI.js";export{COMMANDS,GROUPS,REFUSED_COMMANDS};
