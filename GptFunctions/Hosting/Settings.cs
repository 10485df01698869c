using System.Collections.Concurrent;
using System.Reflection;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace GptFunctions.Hosting;

/// <summary>
/// Settings of one feature, from environment variables or the files of <see cref="SecretsDirectory"/>: read once, so that every part of the program goes by
/// the same ones until it ends. Taken from <see cref="IOptions{TOptions}"/>.
/// </summary>
internal interface ISettings
{
    /// <summary>What keeps the program from starting beyond what the attributes say: sentences that name the setting and what to do.</summary>
    IEnumerable<string> Problems(bool isProduction) => [];
}

/// <summary>
/// Keys, and nothing else: read again when a file changes, so that they rotate without a restart. Taken from <see cref="IOptionsMonitor{T}"/>.
/// </summary>
internal interface IKeys : ISettings;

internal static class SettingsRegistration
{
    /// <summary>Reads <typeparamref name="T"/> from configuration and checks it before anything starts.</summary>
    public static void AddSettings<T>(this IHostApplicationBuilder builder)
        where T : class, ISettings, new() => builder.AddSettings(_ => new T());

    /// <summary>The same for a class that reads settings of its own when it is made.</summary>
    public static void AddSettings<T>(this IHostApplicationBuilder builder, Func<IServiceProvider, T> create)
        where T : class, ISettings
    {
        var isProduction = builder.Environment.IsProduction();
        builder.Services.AddSingleton<IOptionsFactory<T>>(services => new SettingsReader<T>(
            services.GetRequiredService<IConfiguration>(), isProduction, () => create(services),
            services.GetRequiredService<ILogger<SettingsReader<T>>>(), services.GetRequiredService<RefusedChanges>()));
        if (typeof(T).IsAssignableTo(typeof(IKeys)))
        {
            builder.Services.AddSingleton<IOptionsChangeTokenSource<T>>(services =>
                new ConfigurationChangeTokenSource<T>(services.GetRequiredService<IConfiguration>()));
        }

        builder.Services.AddOptions<T>().ValidateOnStart();
    }
}

/// <summary>
/// Reads every property that has a <see cref="SettingAttribute"/>. A value that cannot be read is a problem among the others, not an exception, so
/// that a start shows all that is wrong at once. A file with a key that turns bad while the program runs is reported, and the last good values stay in force.
/// </summary>
internal sealed partial class SettingsReader<T>(IConfiguration configuration, bool isProduction, Func<T> create, ILogger<SettingsReader<T>> logger,
    RefusedChanges? refused = null)
    : IOptionsFactory<T>
    where T : class, ISettings
{
    private T? lastGood;

    public T Create(string name)
    {
        if (lastGood is not null && lastGood is not IKeys)
        {
            return lastGood;
        }

        var settings = create();
        var problems = new List<string>();
        foreach (var property in typeof(T).GetProperties())
        {
            var (value, problem) = property.GetCustomAttribute<SettingAttribute>()?.Read(configuration, property.PropertyType, isProduction) ?? default;
            if (problem is not null)
            {
                problems.Add(problem);
            }
            else if (value is not null)
            {
                property.SetValue(settings, value);
            }
        }

        problems.AddRange(settings.Problems(isProduction));
        if (problems.Count == 0)
        {
            lastGood = settings;
            refused?.Clear(typeof(T));
        }
        else if (lastGood is null)
        {
            throw new OptionsValidationException(name, typeof(T), problems);
        }
        else
        {
            var text = string.Join(' ', problems);
            refused?.Note(typeof(T), text);
            LogRefused(text);
        }

        return lastGood;
    }

    [LoggerMessage(1030, LogLevel.Error, "Changed settings were not taken over, those before stay in force: {Problems}")]
    private partial void LogRefused(string problems);
}

/// <summary>Keys whose files changed to something that cannot be used, so that the values before stay in force: until the next start, which fails.</summary>
internal sealed class RefusedChanges
{
    private readonly ConcurrentDictionary<Type, string> problems = new();

    /// <summary>Sentences that name the setting and what to do.</summary>
    public IEnumerable<string> Problems => problems.Values;

    public void Note(Type settings, string problem) => problems[settings] = problem;

    public void Clear(Type settings) => problems.TryRemove(settings, out _);
}
