from duobiao.cli.app import main

main()
