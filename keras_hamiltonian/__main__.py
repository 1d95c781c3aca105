"""`python -m keras_hamiltonian`: the command `keras-hamiltonian`."""

from keras_hamiltonian.cli import main

if __name__ == "__main__":
    main()
