// What Vite lets modules import besides code.
declare module '*.css'
