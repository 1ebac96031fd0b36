import { AutoTokenRefresh } from "aimkeeper-browser/react";

export default function RootLayout({ children }) {
  return (
    <html lang="en">
      <body>
        <AutoTokenRefresh />
        {children}
      </body>
    </html>
  );
}
