import { render } from "preact";
import { listen } from "./keys.ts";
import { apply } from "./preferences.ts";
import { Shell } from "./shell.tsx";
import { tick } from "./time.ts";

apply();
listen();
tick();
const place = document.getElementById("app");
if (place) render(<Shell />, place);
