// What every page loads. Each module binds by data attributes and leaves a page alone that has none of them.

import "./theme.js";
import "./time.js";
import "./menus.js";
import "./tabs.js";
import "./dialogs.js";
import "./busy.js";
import "./away.js";
import "./toasts.js";
import "./rows.js";
import "./keys.js";
import "./suggest.js";
import "./live.js";
import "./requests.js";
