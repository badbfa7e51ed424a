import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);
import{COMMANDS,GROUPS,REFUSED_COMMANDS}from"./chunk-DTLDA5BU.js";import"./chunk-KK2BNZUG.js";import"./chunk-QMPU5IL3.js";import"./chunk-X4OJTIO2.js";import"./chunk-HFSC4POI.js";export{COMMANDS,GROUPS,REFUSED_COMMANDS};
