import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);
import{COMMANDS,GROUPS,REFUSED_COMMANDS}from"./chunk-YRRZFSXO.js";import"./chunk-RT5XC7YR.js";import"./chunk-G46N5VIR.js";import"./chunk-YD2OKXYT.js";import"./chunk-QWRO4YRW.js";import"./chunk-SUYQTPMD.js";import"./chunk-HFSC4POI.js";export{COMMANDS,GROUPS,REFUSED_COMMANDS};
