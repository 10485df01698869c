using System.Text.Json;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Development;

/// <summary>hosting.md 26: <c>dotnet run</c> and a debugger start the program with what launchSettings.json says, and nothing else.</summary>
public sealed class CheckoutStartTests : IAsyncLifetime
{
    private readonly string directory = Directory.CreateTempSubdirectory("gpt-checkout-").FullName;

    public Task InitializeAsync() => File.WriteAllTextAsync(Path.Combine(directory, "Functions.sln"), "");

    public Task DisposeAsync()
    {
        Directory.Delete(directory, recursive: true);
        return Task.CompletedTask;
    }

    [Fact]
    public async Task Start_sets_up_an_empty_database_of_make_services_and_is_ready()
    {
        await using var database = await TestDatabase.CreateAsync(TestDatabase.NameFor(typeof(CheckoutStartTests)), isMigrated: false);
        await ServicesAsync(database.Url);

        await using var app = await AppProcess.StartAsync(Profile(), directory);

        Assert.Contains("clients: demo-gpt added", app.Output);
    }

    [Fact]
    public async Task Start_where_no_database_answers_is_one_sentence_that_names_make_services()
    {
        await ServicesAsync($"postgres://gptfunctions:x@127.0.0.1:{TestApp.FreePort()}/gptfunctions");

        var run = await AppProcess.RunInAsync(directory, Profile());

        Assert.Equal(69, run.ExitCode);
        Assert.Matches(@"^The database at DATABASE_URL cannot be used: [^\n]*\. In a checkout 'make services' starts one\.\n$", run.Error);
    }

    [Fact]
    public async Task Start_before_make_services_names_it()
    {
        var run = await AppProcess.RunInAsync(directory, Profile());

        Assert.Equal(78, run.ExitCode);
        Assert.Contains("DATABASE_URL is missing, and this checkout has no servers yet: start them with 'make services'", run.Error, StringComparison.Ordinal);
    }

    /// <summary>The debugger's profile is that of dotnet run.</summary>
    [Fact]
    public async Task Debugger_takes_the_profile_of_launch_settings_and_builds_first()
    {
        var root = TestServices.RepositoryRoot;
        var commented = new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip };
        using var launch = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(root, ".vscode", "launch.json")), commented);
        using var tasks = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(root, ".vscode", "tasks.json")), commented);
        var labels = tasks.RootElement.GetProperty("tasks").EnumerateArray().Select(task => task.GetProperty("label").GetString()).ToList();
        var start = launch.RootElement.GetProperty("configurations")[0];
        Assert.Equal("GptFunctions", start.GetProperty("launchSettingsProfile").GetString());
        Assert.Equal("${workspaceFolder}/GptFunctions/Properties/launchSettings.json", start.GetProperty("launchSettingsFilePath").GetString());
        Assert.Contains(start.GetProperty("preLaunchTask").GetString(), labels);
        Assert.EndsWith("/GptFunctions/bin/Debug/net10.0/GptFunctions.dll", start.GetProperty("program").GetString(), StringComparison.Ordinal);
    }

    private Task ServicesAsync(string url)
    {
        var state = Directory.CreateDirectory(Path.Combine(directory, ".local", "services", "dev")).FullName;
        return File.WriteAllTextAsync(Path.Combine(state, "environment"), $"DATABASE_URL={url}\n");
    }

    private static Dictionary<string, string?> Profile()
    {
        using var file = JsonDocument.Parse(File.ReadAllText(
            Path.Combine(TestServices.RepositoryRoot, "GptFunctions", "Properties", "launchSettings.json")));
        var profile = file.RootElement.GetProperty("profiles").GetProperty("GptFunctions");
        Assert.Equal("Project", profile.GetProperty("commandName").GetString());
        var settings = profile.GetProperty("environmentVariables").EnumerateObject()
            .ToDictionary(variable => variable.Name, variable => variable.Value.GetString(), StringComparer.Ordinal);
        (settings["DATABASE_URL"], settings["RABBITMQ_URL"]) = (null, null); // of whoever runs the tests
        return settings;
    }
}
