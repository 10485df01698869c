using System.Collections.Concurrent;

namespace GptFunctions.Tests.Support;

/// <summary>What every app of this test run logged, in this process and in others, and the secrets that went over the wire meanwhile.</summary>
internal static class RunLog
{
    public static ConcurrentQueue<string> Lines { get; } = new();

    public static ConcurrentBag<string> Secrets { get; } = [];

    /// <summary>Notes a value that no log may hold; short ones could occur by chance and are left out.</summary>
    public static void NoteSecret(string? value)
    {
        if (value is { Length: >= 20 })
        {
            Secrets.Add(value);
        }
    }
}
