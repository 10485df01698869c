using System.Reflection;
using GptFunctions.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tests.Support;

/// <summary>Runs functions that stand in this test assembly; each app only those it names, by the Functions host's own allow-list.</summary>
internal static class TestFunctions
{
    private static Assembly Here => typeof(TestFunctions).Assembly;

    public static Task<TestApp> StartAsync(string name, params string[] functions) => StartAsync(name, [], functions);

    public static async Task<TestApp> StartAsync(string name, Dictionary<string, string?> settings, string[] functions) =>
        await TestApp.StartAsync(name, With(settings, functions), Here);

    /// <summary>The sentence with which the host refuses to start with this function.</summary>
    public static string Refusal(string function, params (string Name, string? Value)[] settings)
    {
        var all = With(TestApp.DefaultSettings("postgresql://nobody@127.0.0.1:1/none", TestApp.FreePort()), [function]);
        foreach (var (name, value) in settings)
        {
            all[name] = value;
        }

        var refusal = Assert.Throws<OptionsValidationException>(() => StandaloneHost.Build(builder =>
        {
            builder.Configuration.AddInMemoryCollection(all);
            Features.Add(builder);
        }, Here));
        return Assert.Single(refusal.Failures);
    }

    public static Dictionary<string, string?> With(Dictionary<string, string?> settings, string[] functions)
    {
        for (var index = 0; index < functions.Length; index++)
        {
            settings[$"AzureFunctionsJobHost:functions:{index}"] = functions[index];
        }

        return settings;
    }
}
