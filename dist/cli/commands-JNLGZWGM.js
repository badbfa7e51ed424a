import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);
import{COMMANDS,GROUPS,REFUSED_COMMANDS}from"./chunk-7JLQZGU7.js";import"./chunk-FEIIYCBT.js";import"./chunk-L3TZ6OHZ.js";import"./chunk-5Z5C3S5O.js";import"./chunk-HFSC4POI.js";export{COMMANDS,GROUPS,REFUSED_COMMANDS};
