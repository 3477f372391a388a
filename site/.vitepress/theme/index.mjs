// VitePress's own theme, with narrower tables: the references and the comparison have many columns.

import DefaultTheme from "vitepress/theme";

import "./tables.css";

export default DefaultTheme;
