import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);
import{COMMANDS,GROUPS,REFUSED_COMMANDS}from"./chunk-4N2OUSGS.js";import"./chunk-I5GBKIZL.js";import"./chunk-ZMWFF7Q7.js";import"./chunk-5Z5C3S5O.js";import"./chunk-HFSC4POI.js";export{COMMANDS,GROUPS,REFUSED_COMMANDS};
