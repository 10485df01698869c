using System.Text.Json;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Clients;

/// <summary>A walk through pages with a real browser: one of the scripts of this folder that use walk.mjs.</summary>
internal static class BrowserWalk
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(4);

    /// <summary>Fails with every problem that was found. The pictures are in .local/test-screenshots.</summary>
    /// <returns>The pages that were seen: NAME-LOOK.</returns>
    public static async Task<List<string>> RunAsync(string script, string baseUrl, params string[] arguments)
    {
        var folder = Directory.CreateDirectory(Path.Combine(TestServices.RepositoryRoot, ".local", "test-screenshots")).FullName;
        var result = JsonElement.Parse(await ClientPackages.RunAsync(Patience, script, [baseUrl, folder, .. arguments]));
        var problems = Texts(result, "problems");
        Assert.True(problems.Count == 0, string.Join('\n', problems));
        return Texts(result, "seen");
    }

    private static List<string> Texts(JsonElement result, string name) => [.. result.GetProperty(name).EnumerateArray().Select(text => text.GetString()!)];
}
