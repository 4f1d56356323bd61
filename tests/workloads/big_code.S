# 12,000 functions with 10.9 MB of code and 15 rows of call frame information each.
# `big_functions` lists them; each calls the function it gets as its only argument.

	.macro saved register
	push %\register
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \register, 0
	.endm

	.macro restored register
	pop %\register
	.cfi_adjust_cfa_offset -8
	.cfi_restore \register
	.endm

	.macro big_function
	.text
	.p2align 4
	.type big_function_\@, @function
big_function_\@:
	.cfi_startproc
	saved rbx
	saved rbp
	saved r12
	saved r13
	saved r14
	saved r15
	sub $24, %rsp
	.cfi_adjust_cfa_offset 24
	mov %rdi, %rbx
	.rept 110
	imul $69069, %rax, %rax
	.endr
	call *%rbx
	add $24, %rsp
	.cfi_adjust_cfa_offset -24
	restored r15
	restored r14
	restored r13
	restored r12
	restored rbp
	restored rbx
	ret
	.cfi_endproc
	.size big_function_\@, . - big_function_\@
	.section .data.rel.ro, "aw", @progbits
	.quad big_function_\@
	.endm

	.section .data.rel.ro, "aw", @progbits
	.p2align 3
	.globl big_functions
big_functions:

	.rept 12000
	big_function
	.endr

	.section .data.rel.ro, "aw", @progbits
	.globl big_functions_end
big_functions_end:

	.section .note.GNU-stack, "", @progbits
