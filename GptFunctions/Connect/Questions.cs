using GptFunctions.OAuth;

namespace GptFunctions.Connect;

/// <summary>What the options leave open, asked of a person at a terminal. Enter, or the end of the input, takes the default.</summary>
internal sealed class Questions(TextReader input, TextWriter output)
{
    /// <summary>Null where nobody can be asked: the input or the output is a file or a pipe.</summary>
    public static Questions? AtTerminal { get; } = Console.IsInputRedirected || Console.IsOutputRedirected ? null : new(Console.In, Console.Out);

    /// <param name="answers">What can be typed, and what it means.</param>
    public string Choose(string question, string fallback, params (string Answer, string Meaning)[] answers)
    {
        output.WriteLine(question);
        foreach (var (answer, meaning) in answers)
        {
            output.WriteLine($"  {answer,-10} {meaning}");
        }

        return Ask(
            fallback, $"[{fallback}]", typed => Array.Exists(answers, one => one.Answer == typed) ? null
                : $"It is one of {string.Join(", ", answers.Select(one => one.Answer))}; Enter takes {fallback}.");
    }

    /// <returns>The id of a GPT; empty: there is none yet.</returns>
    public string AskGpt()
    {
        output.WriteLine("The Custom GPT's id, g-..., which stands in its URL when it was saved; Enter where it was not yet:");
        return Ask("", "[none yet]", typed => ClientService.ProblemWithGpts([typed]));
    }

    private string Ask(string fallback, string shown, Func<string, string?> problemWith)
    {
        while (true)
        {
            output.Write($"{shown} ");
            if (input.ReadLine()?.Trim() is not { Length: > 0 } typed)
            {
                return fallback;
            }

            if (problemWith(typed) is not { } problem)
            {
                return typed;
            }

            output.WriteLine(problem);
        }
    }
}
