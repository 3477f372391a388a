// Style sheets that the test app imports.
declare module "*.css";
