import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);
import{require_dist}from"./chunk-IC7BF2OL.js";import"./chunk-HFSC4POI.js";export default require_dist();
