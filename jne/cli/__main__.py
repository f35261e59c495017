from jne.cli import main

main()
