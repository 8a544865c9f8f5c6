import { engineConformance } from '../conformance/engine.ts';
import { memoryHarness } from '../conformance/harnesses/memory.ts';

engineConformance(memoryHarness);
