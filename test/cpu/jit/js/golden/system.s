d53b4200  mrs x0, nzcv
